import type { Application, Language } from './application.ts'
import { keyPrefix } from './name.ts'
import type { Origin } from './origin.ts'
import { packageManagers } from './package-managers.ts'
import { versions } from './versions.ts'

type Scripts = Readonly<Record<string, string>>

/** Ten seconds for requests that are under way when the process is told to end; half a second is fastify-cli's own. */
const start = 'fastify start -o -l info -g 10000'
const watch = '--watch-path=src --watch-preserve-output'
/** Of files that were renamed the compiled ones would go on serving routes. */
const clean = "node -e \"require('node:fs').rmSync('dist', { recursive: true, force: true })\""

const scripts: Readonly<Record<Language, (run: string) => Scripts>> = {
  ts: run => ({
    build: `${clean} && tsc`,
    dev: 'node scripts/dev.mjs',
    start: `${start} dist/src/app.js`,
    test: `${run} build && node --test dist/test/*.test.js`,
    try: `${run} build && node scripts/try.mjs`,
    token: 'secure-api token',
    routes: 'secure-api routes dist/src/app.js --env .env.development',
    account: 'node scripts/account.mjs'
  }),
  js: () => ({
    dev: `node --env-file=.env.development ${watch} node_modules/fastify-cli/cli.js start -o -l info src/app.js`,
    start: `${start} src/app.js`,
    test: 'node --test test/*.test.js',
    try: 'node scripts/try.mjs',
    token: 'secure-api token',
    routes: 'secure-api routes src/app.js --env .env.development',
    account: 'node scripts/account.mjs'
  })
}

/** The package.json of a generated application. */
export function packageJson ({ name, language, packageManager, features = [] }: Application, origin: Origin): object {
  return {
    name,
    version: '0.1.0',
    private: true,
    type: 'module',
    engines: { node: '>=20.19' },
    scripts: {
      ...scripts[language](packageManagers[packageManager].run),
      ...(features.includes('apiKeys') && { key: `secure-api key create --prefix ${keyPrefix(name)} --file keys.json` })
    },
    dependencies: sorted(Object.assign({ 'fastify-secure-api': origin.specifier }, versions.dependencies,
      ...features.map(name => versions[name]))),
    devDependencies: sorted({ ...versions.development, ...(language === 'ts' ? versions.typescript : undefined) })
  }
}

function sorted (record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([one], [other]) => one < other ? -1 : 1))
}
