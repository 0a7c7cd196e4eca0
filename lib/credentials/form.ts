const form = 'application/x-www-form-urlencoded'
const parameter = 'access_token'

/**
 * Whether a form carries a token (RFC 6750 §2.2). Beside the header that makes two methods, which §2 forbids.
 *
 * @param body as the application's parser left it: an object, a string, bytes, or `URLSearchParams`
 */
export function hasFormToken (contentType: string | undefined, body: unknown): boolean {
  if (contentType === undefined || !isForm(contentType) || body === undefined || body === null) return false
  if (typeof body === 'string') return new URLSearchParams(body).has(parameter)
  if (Buffer.isBuffer(body)) return new URLSearchParams(body.toString('latin1')).has(parameter)
  if (typeof body !== 'object') return false
  return body instanceof URLSearchParams || body instanceof Map ? body.has(parameter) : Object.hasOwn(body, parameter)
}

function isForm (contentType: string): boolean {
  return contentType.slice(0, form.length).toLowerCase() === form
}
