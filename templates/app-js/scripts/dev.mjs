import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'

// The server in development. It starts again when a file has changed.
const { resolve } = createRequire(import.meta.url)
process.loadEnvFile('.env.development')
const serve = ['--watch-path=src', '--watch-preserve-output', resolve('fastify-cli/cli.js'), 'start', '-o', '-P', '-l', 'info', 'src/app.js', ...process.argv.slice(2)]

const server = spawn(process.execPath, serve, { stdio: 'inherit' })
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => server.kill())
