import { branches, subcommandPattern, type Line } from './lines.ts'

/** A script for bash. `COMP_WORDBREAKS` splits `--option=value` into three words, which `previous` takes into account. */
export function bash (lines: readonly Line[]): string {
  return `# bash completion for secure-api; made by \`secure-api completion bash\`
_secure_api () {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" command="\${COMP_WORDS[1]}"
  local words='' files='' line='' word=''
  if [ "$current" = '=' ]; then current=''
  elif [ "$previous" = '=' ]; then previous="\${COMP_WORDS[COMP_CWORD-2]}"; fi
  if [ "$COMP_CWORD" -gt 1 ]; then
    line="$command"
    if [ "$COMP_CWORD" -gt 2 ]; then
      case "$command/\${COMP_WORDS[2]}" in ${subcommandPattern(lines)}) line="$command/\${COMP_WORDS[2]}" ;; esac
    fi
    line="$line/"
    case "$previous" in -*) line="$line$previous" ;; esac
  fi
  case "$line" in
${branches(lines)}
  esac
  COMPREPLY=()
  while IFS='' read -r word; do COMPREPLY+=("$word"); done < <(
    compgen -W "$words" -- "$current"
    if [ -n "$files" ]; then compgen -f -- "$current"; fi
  )
  if [ -n "$files" ]; then compopt -o filenames 2>/dev/null; fi
  return 0
}
complete -F _secure_api secure-api
`
}
