/** Versions in a generated package.json. Where this project's own package.json names one too, a test compares. */
export const versions = {
  dependencies: {
    '@fastify/autoload': '^6.5.0',
    fastify: '^5.12.8',
    'fastify-cli': '^8.0.2'
  },
  development: {
    'fastify-plugin': '^6.0.0'
  },
  redis: {
    ioredis: '^6.0.0'
  },
  openapi: {
    '@fastify/swagger': '^9.9.3'
  },
  apiKeys: {},
  typescript: {
    '@types/node': '^20.19.43',
    typescript: '~6.0'
  }
} as const

/** For containers and workflows. Node 24 is the long-term release. */
export const nodeImage = 'node:24-slim'
export const nodeVersion = '24'
