export { type ClientErrorEvent } from './client-error.ts'
export { claim, installEdge, type Edge, type EdgeOptions, type NodeServer } from './edge.ts'
export { edgeAnswers, edgePairs, edgeResponse, type EdgeHeaders, type EdgeStatus } from './edge-response.ts'
