import { spawn, spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'

// The server in development. It starts again when the compiler has written something.
const { resolve } = createRequire(import.meta.url)
process.loadEnvFile('.env.development')
const compile = [resolve('typescript/bin/tsc')]
const serve = ['--watch-path=dist/src', '--watch-preserve-output', resolve('fastify-cli/cli.js'), 'start', '-o', '-P', '-l', 'info', 'dist/src/app.js', ...process.argv.slice(2)]

spawnSync(process.execPath, compile, { stdio: 'inherit' })
const children = [[...compile, '--watch', '--preserveWatchOutput'], serve].map(args => spawn(process.execPath, args, { stdio: 'inherit' }))
const stop = () => { for (const child of children) child.kill() }
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, stop)
for (const child of children) child.on('exit', stop)
