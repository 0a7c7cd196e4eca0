import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { KnownRoute, PolicyRules } from '../../lib/usage/index.ts'
import { UsageError, type Terminal } from '../command.ts'
import { askApplication } from '../routes/ask.ts'
import { json } from '../routes/json.ts'
import { postureOf } from '../routes/report.ts'
import type { ReportSettings } from './report-arguments.ts'
import { isRule } from './report-read.ts'

/** The routes of the application, from itself or from what `secure-api routes --json` wrote; undefined where neither is named. */
export async function knownRoutes ({ app, routes }: ReportSettings, terminal: Terminal): Promise<readonly KnownRoute[] | undefined> {
  if (app !== undefined) {
    const posture = postureOf(await askApplication(app, terminal))
    return readRoutes(json({ file: app.file, ...posture, findings: [], accepted: [] }, terminal.cwd), app.file)
  }
  return routes === undefined ? undefined : readRoutes(readFileSync(resolve(terminal.cwd, routes), 'utf8'), routes)
}

function readRoutes (text: string, file: string): readonly KnownRoute[] {
  const parsed = parse(text)
  if (parsed?.version !== 1 || !Array.isArray(parsed.routes)) {
    throw new UsageError(`${file} holds no routes: write it with \`secure-api routes <app> --json --output routes.json\``)
  }
  return parsed.routes.flatMap(known)
}

function parse (text: string): { readonly version?: unknown, readonly routes?: unknown } | undefined {
  try {
    return JSON.parse(text) ?? undefined
  } catch {
    return undefined
  }
}

/** Preflights are routes of nobody, and what is outside the suite is in no trail. */
function known ({ methods, url, access, coverage, audit, policies }: Readonly<Record<string, unknown>>): KnownRoute[] {
  if (!Array.isArray(methods) || typeof url !== 'string' || coverage !== 'suite' || methods.join() === 'OPTIONS') return []
  const rule = isRule(access) ? access : undefined
  // A route of which the trail says nothing cannot be said to be called by nobody.
  return [{ methods, url, rule, policies: rulesIn(policies), complete: audit !== false && audit !== undefined }]
}

function rulesIn (policies: unknown): PolicyRules | undefined {
  if (typeof policies !== 'object' || policies === null) return undefined
  return Object.fromEntries(Object.entries(policies).filter(([, rule]) => typeof rule === 'object' && isRule(rule))) as PolicyRules
}
