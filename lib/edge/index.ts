export {
  createClientErrorHandler, edgeAnswers, edgePairsBy, edgeResponse, type ClientErrorEvent, type EdgeHeaders, type EdgeStatus
} from './client-error.ts'
export { endWithAnswer } from './connections.ts'
export {
  claim, edgeCodeOf, installEdge, noteEdgeCode, say, type Edge, type EdgeOptions, type NodeRequest, type NodeResponse
} from './edge.ts'
export { callerBy, overTls, proxiesOf, trustedProxies, type OverTls } from './over-tls.ts'
