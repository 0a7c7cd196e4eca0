export { createClientErrorHandler, type ClientErrorEvent } from './client-error.ts'
export { claim, installEdge, type Edge, type EdgeOptions } from './edge.ts'
export { overTls, proxiesOf, trustedProxies, type OverTls } from './over-tls.ts'
export { edgeAnswers, edgePairs, edgePairsBy, edgeResponse, type EdgeHeaders, type EdgeStatus } from './response.ts'
