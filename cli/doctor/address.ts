/**
 * What to do about a URL whose password breaks it apart: in `redis://:p@ss/w#rd@host` the host would be `ss`, and everything
 * that is printed of the address would be part of the password.
 * @returns undefined for a URL that reads as it was meant
 */
export function credentialFault (text: string): string | undefined {
  const [, authority = '', rest = ''] = /^[a-z][a-z+.-]*:\/\/([^/?#\\]*)(.*)$/is.exec(text) ?? []
  return rest.includes('@') && /[@:]/.test(authority) ? advice : undefined
}

/** The same for Redis, whose URLs have nothing behind the host but the number of a database and options. */
export function redisCredentialFault (text: string): string | undefined {
  const [, rest = ''] = /^rediss?:\/\/[^/?#\\]*(.*)$/is.exec(text) ?? []
  return rest.includes('@') || !/^(\/\d*)?(\?[^#]*)?$/.test(rest) ? advice : undefined
}

const advice = 'In user and password percent-encode what is not a letter or a digit: %40 for @, %2F for /, %23 for #, %3A for :, ' +
  "%3F for ?, %25 for %. `node -p 'encodeURIComponent(process.env.PASSWORD)'` does it."
