import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createRequire } from 'node:module'

// The compiler, and the server in development, which starts again when the compiler has written something.
process.loadEnvFile('.env.development')
const { resolve } = createRequire(import.meta.url)
const compile = [resolve('typescript/bin/tsc'), '--watch', '--preserveWatchOutput', '--locale', 'en']
const watch = ['--watch-path=dist/src', '--watch-preserve-output']
const start = [resolve('fastify-cli/cli.js'), 'start', '-o', '-l', 'info', 'dist/src/app.js', ...process.argv.slice(2)]

rmSync('dist', { recursive: true, force: true })
const compiler = spawn(process.execPath, compile, { stdio: ['inherit', 'pipe', 'inherit'] })
let server
compiler.stdout.on('data', text => {
  process.stdout.write(text)
  if (server === undefined && text.includes('Watching for file changes')) serveFromNowOn()
})
compiler.on('exit', () => server?.kill())
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => compiler.kill())

function serveFromNowOn () {
  server = spawn(process.execPath, [...watch, ...start], { stdio: 'inherit' })
  server.on('exit', () => compiler.kill())
}
