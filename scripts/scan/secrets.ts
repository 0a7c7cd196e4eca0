import { execFileSync } from 'node:child_process'
import { lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { lintSource } from '@secretlint/core'
import { creator as preset } from '@secretlint/secretlint-rule-preset-recommend'
import { apiKeyId } from '../../lib/api-keys/index.ts'

export interface Secret {
  readonly file: string
  readonly line: number
  readonly rule: string
  /** The first characters and the length: enough to find it, too little to use it. */
  readonly masked: string
}
interface Form {
  readonly rule: string
  /** The secret is the group `secret`, or all of it. */
  readonly pattern: RegExp
  /** What looks like a secret and is none has to fail here. */
  readonly proof?: (value: string) => boolean
}

const id = (name: string) => `@secretlint/secretlint-rule-${name}`
// Without comments that switch rules off: they do not say what they let pass. The allow-list names each value.
const rules = preset.rules.filter(({ meta }) => meta.id !== id('filter-comments')).map(rule => ({ id: rule.meta.id, rule, options: {} }))

/** What the preset of secretlint does not know. */
const forms: readonly Form[] = [
  { rule: 'api-key', pattern: /\b[a-z][a-z0-9]{1,15}_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}\b/g, proof: value => apiKeyId(value) !== undefined },
  { rule: 'aws-key', pattern: /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g },
  { rule: 'google', pattern: /\bAIza[\w-]{35}(?![\w-])|\bGOCSPX-[\w-]{28}(?![\w-])/g },
  { rule: 'stripe', pattern: /\b(?:[sr]k_live_[0-9A-Za-z]{24,}|whsec_[0-9A-Za-z+/]{32,})/g },
  { rule: 'gitlab', pattern: /\bglpat-[\w-]{20,}/g },
  // secretlint knows those of HTTP alone.
  {
    rule: 'url',
    pattern: /\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@"'`]*:(?<secret>[^\s/:@"'`${}]{16,200})@/gi,
    proof: value => isRandom(value, 3.2)
  },
  { rule: 'jwt', pattern: /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}/g },
  {
    rule: 'assignment',
    pattern: /(?:secret|passw(?:or)?d|token|api_?key|credential)\w*["']?\s*[:=]\s*(["'`]?)(?<secret>[\w+/=.~-]{20,200})\1(?![\w(])/gi,
    proof: isRandom
  }
]

/** Every secret in the files that git keeps or would keep. */
export async function secretsIn (root: string): Promise<Secret[]> {
  // In a container of CI the checkout belongs to another user.
  const list = execFileSync('git', ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    { cwd: root, encoding: 'utf8' })
  const isFile = (file: string) => lstatSync(join(root, file), { throwIfNoEntry: false })?.isFile() === true
  const files = [...new Set(list.split('\0'))].filter(file => file !== '' && isFile(file))
  const found = await Promise.all(files.map(file => secretsOf(file, readFileSync(join(root, file)))))
  return found.flat()
}

/**
 * Takes away what the allow-list names: a line `<file> <rule> <masked> <reason>` for each value. What is wrong with the list is told:
 * a line without a reason, and one that lets nothing pass.
 */
export function withoutAllowed (secrets: readonly Secret[], allowList: string): { secrets: Secret[], mistakes: string[] } {
  const left = [...secrets]
  const mistakes = allowList.split('\n').flatMap((text, index) => {
    if (/^\s*(?:#|$)/.test(text)) return []
    const [file, rule, masked, ...reason] = text.trim().split(/\s+/)
    if (reason.length === 0) return [`line ${index + 1}: no reason`]
    const at = left.findIndex(secret => secret.file === file && secret.rule === rule && secret.masked === masked)
    if (at < 0) return [`line ${index + 1}: lets nothing pass`]
    left.splice(at, 1)
    return []
  })
  return { secrets: left, mistakes }
}

async function secretsOf (file: string, bytes: Buffer): Promise<Secret[]> {
  if (bytes.includes(0)) return []
  const text = bytes.toString()
  const { messages } = await lintSource({
    source: { content: text, filePath: `/${file}`, contentType: 'text' },
    options: { config: { rules }, noPhysicFilePath: true }
  })
  const known = messages.map(({ ruleId, range: [begin, end] }) =>
    ({ rule: ruleId.replace(id(''), ''), begin, value: text.slice(begin, end) }))
  const others = forms.flatMap(form => matches(form, text)).filter(({ begin, value }) =>
    !known.some(one => one.begin < begin + value.length && begin < one.begin + one.value.length))
  return [...known, ...others].map(({ rule, begin, value }) => ({ file, rule, line: lineAt(text, begin), masked: mask(value) }))
}

function matches ({ rule, pattern, proof = () => true }: Form, text: string) {
  return [...text.matchAll(pattern)].map(match => {
    const value = match.groups?.['secret'] ?? match[0]
    return { rule, value, begin: match.index + match[0].indexOf(value) }
  }).filter(({ value }) => proof(value))
}

function lineAt (text: string, at: number): number {
  return text.slice(0, at).split('\n').length
}

export function mask (value: string): string {
  return `${value.length < 12 ? '' : value.slice(0, 4)}…(${value.length})`
}

/** Letters and digits without pattern: names, sentences and paths have fewer bits a character. */
export function isRandom (value: string, least = 4.2): boolean {
  return /\d/.test(value) && /[a-z]/i.test(value) && bitsPerCharacter(value) >= (/^[0-9a-f-]+$/i.test(value) ? 3.2 : least)
}

function bitsPerCharacter (value: string): number {
  const counts = new Map<string, number>()
  for (const character of value) counts.set(character, (counts.get(character) ?? 0) + 1)
  return -[...counts.values()].reduce((sum, count) => sum + count / value.length * Math.log2(count / value.length), 0)
}
