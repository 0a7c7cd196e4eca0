/** The bytes of each request: one a token, or one without. */
export function requestsOf ({ port, method = 'GET', headers = {} }, tokens) {
  const head = [`${method} /orders HTTP/1.1`, `host: 127.0.0.1:${port}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)].join('\r\n')
  if (tokens.length === 0) return [Buffer.from(`${head}\r\n\r\n`)]
  return tokens.map(token => Buffer.from(`${head}\r\nauthorization: Bearer ${token}\r\n\r\n`))
}
