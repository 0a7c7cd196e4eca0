import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { secureServer, type SecureApiOptions, type SessionUserOptions } from '../../plugins/index.ts'
import { suite, Visitor } from '../fixtures/demo/suite.ts'

interface Build {
  readonly version: 'before' | 'after'
  readonly server?: FastifyServerOptions
  readonly sessions?: SessionUserOptions
  readonly suite?: SecureApiOptions
}

/** In JavaScript, as such applications are. */
const { build } = await import(new URL('../fixtures/demo/app.js', import.meta.url).href) as {
  build: (options: Build & { uploads: string }) => Promise<FastifyInstance>
}

/** The application with an empty upload folder. */
async function start (t: Test, options: Build): Promise<FastifyInstance> {
  const uploads = mkdtempSync(join(tmpdir(), 'uploads-'))
  const app = await build({ ...options, uploads })
  t.teardown(async () => {
    await app.close()
    rmSync(uploads, { recursive: true })
  })
  await app.ready()
  return app
}

/** What the page says that an application's own tests need, or its other clients. */
const sameOrigin = { 'sec-fetch-site': 'same-origin' }
const quiet: SecureApiOptions = { audit: false }
const after: Build = { version: 'after', suite: { ...quiet, methodNotAllowed: false } }

const versions: Readonly<Record<string, { build: Build, headers?: Readonly<Record<string, string>> }>> = {
  'before the move': { build: { version: 'before' } },
  'after the move, with a header of the client': { build: after, headers: sameOrigin },
  'after the move, with `allowWithoutOrigin`': { build: { ...after, sessions: { allowWithoutOrigin: true } } },
  'after the move, with `secureServer()`': {
    build: { ...after, server: secureServer({ dangerouslyAllowPlaintext: true }) as FastifyServerOptions }, headers: sameOrigin
  }
}

for (const [version, { build, headers }] of Object.entries(versions)) {
  t.test(`${version}: the tests of the application pass`, async t => {
    for (const [name, run] of Object.entries(suite)) {
      await t.test(name, async t => {
        const app = await start(t, build)
        await run(t, () => new Visitor(app, headers))
      })
    }
  })
}
