import { Verifier, type Verification, type VerifyOptions } from './verifier.ts'

const longestLine = 16 * 1024 * 1024

/** Reads files of a chain, oldest first. Takes as much memory as one line, and some hashes. */
export async function verifyChain (
  files: Iterable<{ readonly name: string, readonly chunks: AsyncIterable<Buffer> }>, options: VerifyOptions = {}
): Promise<Verification> {
  const verifier = new Verifier(options)
  for (const { name, chunks } of files) {
    verifier.open(name)
    let parts: Buffer[] = []
    for await (const chunk of chunks) parts = splitLines(parts, chunk, verifier)
    verifier.end(Buffer.concat(parts))
  }
  return verifier.finish()
}

/** The parts of a line are joined once, so that a long one does not take the square of its time. Returns those of the last line. */
function splitLines (parts: Buffer[], chunk: Buffer, verifier: Verifier): Buffer[] {
  let start = 0
  let before = parts
  for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
    const line = chunk.subarray(start, end)
    verifier.add(before.length === 0 ? line : Buffer.concat([...before, line]))
    before = []
    start = end + 1
  }
  if (start < chunk.length) before.push(chunk.subarray(start))
  // A file without lines must not fill the memory.
  if (before.reduce((sum, { length }) => sum + length, 0) < longestLine) return before
  verifier.add(Buffer.concat(before))
  return []
}
