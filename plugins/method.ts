import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { refusal, type Refusal } from '../lib/http/index.ts'
import type { Handler } from '../lib/pipeline/index.ts'
import { pipelineOf } from './pipeline.ts'
import type { Frame } from './ports.ts'
import { suitePlugin } from './suite-plugin.ts'

/** 405 with `Allow` where the path has routes, but none for this method (RFC 9110 §15.5.6). Only requests without a route come here. */
const method: FastifyPluginAsync = async app => {
  const pipeline = pipelineOf(app)
  pipeline.add({
    name: 'method',
    phase: 'method',
    compile: ({ route: { kind } }) => kind === 'unknown' ? { hook: 'onRequest', handler: refuseMethod(app, pipeline) } : undefined
  })
}

/** Each method's routes are searched, and each search decodes the path: a longer one is a 404, which takes one. */
const longest = 512

function refuseMethod (app: FastifyInstance, pipeline: Frame): Handler {
  const answers = new Map<string, Refusal>()
  return ({ method, raw: { url = '' } }) => {
    if (url.length > longest) return undefined
    const methods = methodsAt(app, pipeline, url)
    // The method has a route here, for another host or version: then 404 is right, and `Allow` would contradict the 405.
    if (methods.length === 0 || methods.includes(method)) return undefined
    const allow = methods.join(', ')
    const answer = answers.get(allow) ?? refusal('SECURE_API_METHOD_NOT_ALLOWED', { headers: { allow } })
    answers.set(allow, answer)
    return answer
  }
}

/** Of routes declared before the suite, a wildcard may be a catch-all, which knows no paths. Sorted: equal routes give equal text. */
function methodsAt (app: FastifyInstance, pipeline: Frame, url: string): string[] {
  const known = pipeline.methodsAt(url)
  const [path] = url.split('?', 1)
  const found = app.supportedMethods.flatMap(method => {
    const route = app.findRoute({ method, url: path ?? '' })
    return route === null ? [] : [{ method, wildcard: '*' in route.params }]
  })
  if (known.length === 0 && found.every(({ wildcard }) => wildcard)) return []
  return [...new Set([...known, ...found.map(({ method }) => method)])].sort()
}

export default suitePlugin('secure-api-method', method)
