import * as suite from './exports.ts'

/**
 * What `require('fastify-secure-api')` returns: the plugin, with every other export as a property. Compiled to CommonJS, the named imports
 * of TypeScript are read from there.
 */
const required = Object.assign(suite.secureApi, suite)

export * from './exports.ts'
export { default } from './secure-api.ts'
export { required as 'module.exports' }
