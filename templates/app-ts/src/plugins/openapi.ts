import swagger from '@fastify/swagger'

// if openapi
/** @fastify/autoload hands this to @fastify/swagger; fastify-secure-api adds the rules of the routes to the document. */
export const autoConfig = { openapi: { openapi: '3.1.0', info: { title: '{{name}}', version: '0.1.0' } } }

export default swagger
