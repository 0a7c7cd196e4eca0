import { STATUS_CODES } from 'node:http'
import { answers, type AnswerCode } from './answers.ts'
import { writable } from './head.ts'
import type { Refusal } from './refusal.ts'

interface ErrorContext {
  /** The status set before the error. */
  readonly status: number
  /** As in the log, beside the cause. */
  readonly requestId: unknown
  /** Whether the message of a failure may be shown, as in development. */
  readonly reveal: boolean
}

/** Errors of Fastify whose message repeats the input or does not help a caller. */
const ofFastify: Readonly<Record<string, AnswerCode>> = {
  FST_ERR_NOT_FOUND: 'SECURE_API_NOT_FOUND',
  FST_ERR_VALIDATION: 'SECURE_API_REQUEST_INVALID',
  FST_ERR_CTP_BODY_TOO_LARGE: 'SECURE_API_REQUEST_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'SECURE_API_REQUEST_MEDIA_TYPE',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'SECURE_API_REQUEST_BODY',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'SECURE_API_REQUEST_BODY',
  FST_ERR_CTP_INVALID_JSON_BODY: 'SECURE_API_REQUEST_BODY'
}

/** For errors whose message is withheld. */
const byStatus: Readonly<Record<number, AnswerCode>> = {
  404: 'SECURE_API_NOT_FOUND',
  413: 'SECURE_API_REQUEST_TOO_LARGE',
  415: 'SECURE_API_REQUEST_MEDIA_TYPE'
}

/**
 * The problem document for anything thrown by a handler, a hook or Fastify. From status 500 on it hides the cause, except with
 * `expose: true` (as in http-errors) and in development. Below 500 it shows the message, unless the error has `expose: false` or comes
 * from the operating system.
 */
export function errorAnswer (error: unknown, context: ErrorContext): Pick<Refusal, 'status' | 'headers' | 'body'> {
  // As in Fastify: the status of the error, else of the reply, else 500.
  const status = [member(error, 'statusCode'), member(error, 'status'), context.status].find(isErrorStatus) ?? 500
  const { requestId } = context
  const members = { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, ...describe(error, status, context.reveal) }
  const body = JSON.stringify({ ...members, ...(typeof requestId === 'string' && { requestId: bounded(requestId, 128) }) })
  // `no-store` as on other errors, where the header table sets it, which may be switched off.
  const fixed = { 'content-type': 'application/problem+json; charset=utf-8', 'cache-control': 'no-store, max-age=0' }
  return { status, headers: { ...headersOf(error), ...fixed }, body }
}

function isErrorStatus (status: unknown): status is number {
  return typeof status === 'number' && Number.isInteger(status) && status >= 400 && status <= 599
}

function describe (error: unknown, status: number, reveal: boolean): { detail: string, code?: string, errors?: readonly Place[] } {
  if (status >= 500) {
    const shown = reveal || member(error, 'expose') === true ? messageOf(error) : undefined
    return { ...tabled('SECURE_API_APPLICATION_FAILED'), ...(shown !== undefined && { detail: shown }) }
  }
  const code = codeOf(error)
  const known = isValidation(error)
    ? 'SECURE_API_REQUEST_INVALID'
    : ofFastify[code ?? ''] ?? (error instanceof SyntaxError ? 'SECURE_API_REQUEST_BODY' : undefined)
  if (known !== undefined) return { ...tabled(known), ...places(error) }
  if (isForCallers(error)) return { detail: messageOf(error) ?? phrase(status), ...(code !== undefined && { code }) }
  const general = byStatus[status]
  return general === undefined ? { detail: phrase(status) } : tabled(general)
}

function tabled (code: AnswerCode): { readonly detail: string, readonly code: AnswerCode } {
  return { detail: answers[code].detail, code }
}

function phrase (status: number): string {
  return STATUS_CODES[status] ?? 'The request cannot be served.'
}

/** `ENOENT: no such file or directory, open '/srv/…'` is not for callers, whatever its status. */
function isForCallers (error: unknown): boolean {
  return member(error, 'expose') !== false && member(error, 'syscall') === undefined && member(error, 'errno') === undefined
}

function codeOf (error: unknown): string | undefined {
  const code = member(error, 'code')
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,63}$/.test(code) ? code : undefined
}

function messageOf (error: unknown): string | undefined {
  const message = member(error, 'message')
  const text = typeof message === 'string' ? bounded(message, 500) : ''
  return text === '' ? undefined : text
}

/** One line, without control characters. */
function bounded (text: string, most: number): string {
  return text.slice(0, most).replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ').trim()
}

/** Where a request violates its schema (RFC 9457 §3, `errors`). */
interface Place {
  readonly in: string
  /** RFC 6901 §6, into the body or the object of the parameters. */
  readonly pointer: string
  readonly detail: string
}

const parts: Readonly<Record<string, string>> = { body: 'body', params: 'path', querystring: 'query', headers: 'header' }

function isValidation (error: unknown): boolean {
  return Array.isArray(member(error, 'validation')) || typeof member(error, 'validationContext') === 'string'
}

function places (error: unknown): { readonly errors?: readonly Place[] } {
  const found = member(error, 'validation')
  if (!Array.isArray(found) || found.length === 0) return {}
  const where = parts[String(member(error, 'validationContext'))] ?? 'body'
  const detailOf = (entry: unknown) => messageOf(entry)?.slice(0, 200) ?? 'is not valid'
  return { errors: found.slice(0, 10).map(entry => ({ in: where, pointer: pointerOf(entry), detail: detailOf(entry) })) }
}

/** Points at a missing member, not at the object that lacks it. Names come from the caller: they are cut and escaped. */
function pointerOf (entry: unknown): string {
  const path = member(entry, 'instancePath')
  const missing = member(member(entry, 'params'), 'missingProperty')
  const last = typeof missing === 'string' ? `/${missing.replaceAll('~', '~0').replaceAll('/', '~1')}` : ''
  const pointer = `${typeof path === 'string' ? path : ''}${last}`.slice(0, 200)
  try {
    return `#${encodeURI(pointer).replaceAll('#', '%23')}`
  } catch {
    return '#' // half of a surrogate pair
  }
}

/** Headers of a body or connection that is not ours, and invalid names (RFC 9110 §5.1). */
const foreign = /^(content-|transfer-encoding$|connection$|keep-alive$|trailer$|upgrade$)|^$|[^\w!#$%&'*+.^`|~-]/i

function headersOf (error: unknown): Record<string, string> {
  const given = member(error, 'headers')
  if (typeof given !== 'object' || given === null) return {}
  return Object.fromEntries(Object.entries(given).filter(([name, value]) => !foreign.test(name) && isFieldValue(value)))
}

function isFieldValue (value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isFieldValue)
  return typeof value === 'number' || (typeof value === 'string' && writable(value))
}

/** Anything can be thrown, even an object with a getter that throws. */
function member (value: unknown, name: string): unknown {
  try {
    return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
  } catch {
    return undefined
  }
}
