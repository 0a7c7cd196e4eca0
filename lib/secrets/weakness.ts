/** In bytes: RFC 7518 §3.2, as long as the hash. */
const SHORTEST_SIGNING = 32
/** Of what a server accepts as a password: it counts the attempts. */
const SHORTEST_SHOWN = 16

/** What READMEs and tutorials print, and what people pad it with. */
const printed = [
  'supersecret', 'yoursecret', 'mysecret', 'topsecret', 'jwtsecret', 'sharedsecret', 'asecret', 'secretkey', 'secret', 'changethis',
  'changeme', 'replaceme', 'password', 'passphrase', 'keyboardcat', 'averylogphrasebiggerthanthirtytwochars',
  'withminimumlengthof32characters', 'your256bit', 'atleast256bitslong', 'thatisatleast32characterslong', 'thirtytwo', '32characters',
  'characters', 'string', 'stringsecret', 'shhh', 'qwerty', 'letmein', 'example', 'development', 'production', 'test', 'token',
  'fastify', 'please', 'default', 'minimum', 'length', 'long', 'enough', 'very', 'must', 'this', 'that', 'with', 'least', 'your', 'key',
  'jwt'
].sort((a, b) => b.length - a.length)

/** What is wrong with a secret that signs with HS256; undefined: nothing that can be seen. */
export function weaknessOf (secret: string): string | undefined {
  const bytes = Buffer.byteLength(secret)
  if (bytes < SHORTEST_SIGNING) {
    return `it has ${bytes} bytes, and HS256 needs ${SHORTEST_SIGNING} (RFC 7518 §3.2): shorter ones are guessed`
  }
  return patternIn(secret, SHORTEST_SHOWN)
}

/** The same for a secret that is shown to a server, such as that of a client. */
export function faultOfSecret (secret: string): string | undefined {
  const bytes = Buffer.byteLength(secret)
  return bytes < SHORTEST_SHOWN ? `it has ${bytes} bytes: fewer than ${SHORTEST_SHOWN} are guessed` : patternIn(secret, SHORTEST_SHOWN / 2)
}

/** @param least how many characters have to be left without words that are printed */
function patternIn (secret: string, least: number): string | undefined {
  if (isRepeated(secret) || new Set(secret).size < least / 2 || isCounted(secret)) return 'it repeats itself'
  const plain = secret.toLowerCase().replace(/[\s_\-.,:;!'"]/g, '')
  const rest = printed.reduce((text, phrase) => text.replaceAll(phrase, ''), plain)
  const isPrinted = rest.length < plain.length && (rest.length < least || new Set(rest).size < least / 2 || isCounted(rest))
  return isPrinted ? 'it is made of words that documentation prints as secrets' : undefined
}

/** `abcabcabc`. */
function isRepeated (text: string): boolean {
  for (let unit = 1; unit <= text.length / 2; unit++) if (text.startsWith(text.slice(unit))) return true
  return false
}

/** `1234567890abcdef…`: most characters follow the one before them. */
function isCounted (text: string): boolean {
  let steps = 0
  for (let index = 1; index < text.length; index++) {
    const step = text.charCodeAt(index) - text.charCodeAt(index - 1)
    if (step >= -1 && step <= 1) steps++
  }
  return steps > text.length / 2
}
