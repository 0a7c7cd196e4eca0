/**
 * The address of the caller; empty where there is none: a Unix socket, or a request that a test double made without a
 * socket, whose `ip` is undefined or, behind `trustProxy`, throws.
 */
export function callerAddress (request: { readonly ip: string | undefined }): string {
  try {
    return request.ip ?? ''
  } catch {
    return ''
  }
}
