export { CircuitBreaker, type StoreEvent, type StoreMessage } from './circuit-breaker.ts'
export { isRedisLike, script, scriptRunner, type EvalClient, type RedisLike, type ScriptRunner } from './client.ts'
export { connectRedis, type RedisConnection } from './connection.ts'
export { asStoreFailure, StoreFailed, type StoreFailureReason } from './failure.ts'
