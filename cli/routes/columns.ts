import type { Row } from './report.ts'
import { accessText, auditText, corsText, headersText, limitText } from './words.ts'

/** A column of the table, in every format. */
export interface Column {
  readonly title: string
  readonly text: (row: Row) => string
  /** What says nothing: a column of nothing else is left out where room is scarce. */
  readonly usual: readonly string[]
  /** The narrowest it can be made. */
  readonly least: number
}

export const columns: readonly Column[] = [
  { title: 'Method', text: ({ methods }) => methods.length > 6 ? 'any' : methods.join(' '), usual: [], least: 6 },
  { title: 'Path', text: ({ url }) => url, usual: [], least: 16 },
  { title: 'Access', text: ({ access }) => accessText(access), usual: [], least: 14 },
  { title: 'Limit', text: limitText, usual: [], least: 11 },
  { title: 'CORS', text: corsText, usual: ['', 'default'], least: 7 },
  { title: 'Headers', text: headersText, usual: ['', 'default'], least: 7 },
  { title: 'Audit', text: auditText, usual: ['', 'on'], least: 8 }
]
