import { UsageError, type Terminal } from '../command.ts'

/** Longer than any token: whoever pipes a film gets an answer too. */
const MOST = 64 * 1024

type Streams = Pick<Terminal, 'stdin' | 'stderr' | 'interactive'>

/** What stands on standard input. On a terminal it says how to end it. */
export async function readAll ({ stdin, stderr, interactive }: Streams, what = 'token'): Promise<string> {
  if (interactive) stderr.write(`Paste the ${what}, then press Enter and Ctrl+D:\n`)
  let text = ''
  for await (const chunk of stdin) {
    text += String(chunk)
    if (text.length > MOST) throw new UsageError(`this is longer than any ${what}`)
  }
  if (text.trim() === '') throw new UsageError(`standard input is empty: pipe a ${what} into this command`)
  return text
}
