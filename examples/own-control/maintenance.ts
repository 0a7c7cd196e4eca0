import { ownRefusal, routeOption, type Control } from '../../plugins/index.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `false`: the route stays open while the API is being maintained. @default true */
    maintenance?: boolean
  }
}

export interface Maintenance {
  /** For `controls` of the suite. */
  readonly control: Control<boolean>
  begin (): void
  end (): void
}

/**
 * A control of the application's own: while it is on, every route answers 503, but for those that say `maintenance: false`. The caller
 * is known by then, so that the trail says who was turned away, with the code as the reason.
 */
export function maintenanceMode (): Maintenance {
  const closed = ownRefusal({
    code: 'ORDERS_MAINTENANCE',
    status: 503,
    detail: 'The API is being maintained.',
    headers: { 'retry-after': '600' }
  })
  let on = false
  return {
    begin: () => { on = true },
    end: () => { on = false },
    control: {
      name: 'maintenance',
      phase: 'rate-limit',
      option: routeOption<boolean, boolean>({ key: 'maintenance', schema: { type: 'boolean' }, refine: (stated = true) => stated }),
      compile: ({ own: applies }) => applies ? { hook: 'onRequest', handler: () => on ? closed : undefined } : undefined,
      posture: applies => ({ maintenance: applies })
    }
  }
}
