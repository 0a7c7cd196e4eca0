export { Secrets, type SecretsOptions } from './keeper.ts'
export { follow, KeptSecret, type SecretEvent, type SecretUse } from './kept.ts'
export { isFromEnvironment } from './literal.ts'
export { readNow, SecretFailure } from './read.ts'
export { Secret, textOf, type SecretAbout } from './secret.ts'
export {
  isPlace, SecretNowSchema, SecretPlaceSchema, SecretSourceSchema, type SecretNow, type SecretPlace, type SecretProvider,
  type SecretSource, type SecretValue
} from './source.ts'
export { dueOf, type SecretStatus } from './status.ts'
export { Turns } from './turns.ts'
export { faultOfSecret, weaknessOf } from './weakness.ts'
