export {
  HeadersOptionsSchema, RouteHeadersSchema, type EffectiveHeaders, type HeadersOptions, type ReportsOptions, type RouteHeaders
} from './options.ts'
export { readReports, reportTypes, type OtherReport, type ReportKind, type Violation } from './reports.ts'
export { mergeHeaders } from './resolve.ts'
export { compileHeaders, compileNonceTable, createNonceSource, headSets, type HeaderTable, type HeadersContext } from './table.ts'
export { validateHeaders, validateRouteHeaders } from './validate.ts'
