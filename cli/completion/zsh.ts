import { branches, subcommandPattern, type Line } from './lines.ts'

/** A script for zsh: to be sourced after compinit, or to lie in a folder of `fpath` as `_secure-api`. */
export function zsh (lines: readonly Line[]): string {
  return `#compdef secure-api
# zsh completion for secure-api; made by \`secure-api completion zsh\`
_secure_api () {
  local all=("\${words[@]}") at=$CURRENT
  local previous="\${all[at-1]}" line='' words='' files=''
  if [[ "\${all[at]}" == --*=* ]]; then
    previous="\${all[at]%%=*}"
    compset -P '*='
  fi
  if (( at > 2 )); then
    line="\${all[2]}"
    if (( at > 3 )); then
      case "$line/\${all[3]}" in (${subcommandPattern(lines)}) line="$line/\${all[3]}" ;; esac
    fi
    line="$line/"
    if [[ "$previous" == -* ]]; then line="$line$previous"; fi
  fi
  case "$line" in
${branches(lines)}
  esac
  compadd -- \${=words}
  if [[ -n "$files" ]]; then _files; fi
}
if [[ "\${funcstack[1]}" == _secure-api ]]; then _secure_api; else compdef _secure_api secure-api; fi
`
}
