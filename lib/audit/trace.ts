/** W3C Trace Context §3.2: version, trace id, parent id, flags; a later version may add more behind a dash. */
const form = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:-|$)/

/** The trace id of a valid `traceparent`. */
export function traceIdOf (traceparent: string | string[] | undefined): string | undefined {
  return typeof traceparent === 'string' && traceparent.length <= 512 ? form.exec(traceparent)?.[1] : undefined
}
