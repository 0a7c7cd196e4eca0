export {
  createClientErrorHandler, edgeAnswers, edgePairsBy, edgeResponse, type ClientErrorEvent, type EdgeHeaders, type EdgeStatus
} from './client-error.ts'
export { claim, installEdge, say, type Edge, type EdgeOptions } from './edge.ts'
export { overTls, proxiesOf, trustedProxies, type OverTls } from './over-tls.ts'
