export { IntrospectionClient, type IntrospectionMessage, type IntrospectionReply } from './client.ts'
export { IntrospectionFailure } from './failure.ts'
export { IntrospectionOptionsSchema, methodOf, timesOf, type IntrospectionClientOptions, type IntrospectionOptions } from './options.ts'
export { faultOfNext, validateIntrospection } from './validate.ts'
