/** Whether a text is the value of some variable of the environment: then it is no literal of the source. */
export function isFromEnvironment (text: string, env: NodeJS.ProcessEnv = process.env): boolean {
  const wanted = text.trim()
  return Object.values(env).some(value => value !== undefined && value !== '' && forms(value).includes(wanted))
}

/** A PEM is often written in one line: with `\n`, or as base64. */
function forms (value: string): string[] {
  return [value, value.replaceAll('\\n', '\n'), Buffer.from(value, 'base64').toString()].map(form => form.trim())
}

/**
 * The password in a URL, or among its options as ioredis reads them: undefined where there is none, and the URL is no secret. Proxies also
 * take a token in place of the name, with no password; Redis does not.
 */
export function passwordIn (url: string): string | undefined {
  try {
    const { protocol, username, password, searchParams } = new URL(url)
    const token = ['http:', 'https:'].includes(protocol) ? username : ''
    return decodeURIComponent(password || token) || searchParams.get('password') || undefined
  } catch {
    // Not a URL: whoever checks it says so. It may be a secret all the same.
    return url
  }
}
