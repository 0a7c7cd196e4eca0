import { DurationSchema, Type, type Static } from '../config/index.ts'

const path = (hint: string) => Type.String({ pattern: '^/[\\w./~-]+$', hint })

const OwnCheckSchema = Type.Function<() => boolean | Promise<boolean>>()

/** The option `health`. */
export const HealthOptionsSchema = Type.Object({
  /** Where liveness is answered: 200 for as long as the process serves. It looks at nothing else. @default '/health/live' */
  live: Type.Optional(path("Write a path such as '/health/live'.")),
  /** Where readiness is answered: 200, or 503 with `Retry-After`. @default '/health/ready' */
  ready: Type.Optional(path("Write a path such as '/health/ready'.")),
  /** Who sees each check with `?verbose`: callers with this scope. Everybody else gets pass or fail. @default nobody sees them */
  scope: Type.Optional(Type.String()),
  /**
   * How long a check has to fail before it counts, after it has passed once. A check that has never passed counts at once. Costs: a pod
   * that cannot work keeps its traffic for so long. @default '10 seconds'
   */
  failAfter: Type.Optional(DurationSchema),
  /** How long one check may take; after that it fails. Keep it under `timeoutSeconds` of the probe. @default '500 ms' */
  timeout: Type.Optional(DurationSchema),
  /**
   * How long `app.close()` goes on answering requests, with readiness at 503, before the server closes: the time that load balancers
   * need to see it. In Kubernetes, `'10 seconds'`. @default 0
   */
  drain: Type.Optional(DurationSchema),
  /**
   * Checks of your own by name: `true`, or a promise of it, passes; anything else fails. Asked at most once a second.
   * @default none
   */
  checks: Type.Optional(Type.Record(OwnCheckSchema)),
  /** Names of checks that are shown and logged, and do not make the instance unready. @default none */
  advisory: Type.Optional(Type.Array(Type.String()))
})

export type HealthOptions = Static<typeof HealthOptionsSchema>
