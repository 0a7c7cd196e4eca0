export const tokenVerifiers = ['fastify-jwt-jwks', 'fastify-auth0-verify']
/** Plugins of which the suite takes the place. */
export const replacedPlugins = ['@fastify/jwt', '@fastify/helmet', '@fastify/cors', '@fastify/rate-limit', ...tokenVerifiers]
