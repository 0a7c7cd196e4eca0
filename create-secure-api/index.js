#!/usr/bin/env node
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

// `npm create secure-api my-api` is `secure-api generate my-api`.
const manifest = createRequire(import.meta.url).resolve('fastify-secure-api/package.json')
process.argv.splice(2, 0, 'generate')
await import(new URL('dist/cli/main.js', pathToFileURL(manifest)).href)
