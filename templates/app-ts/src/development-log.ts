interface Entry {
  level: number
  reqId?: string
  msg?: string
  req?: { method: string, url: string }
  res?: { statusCode: number }
  responseTime?: number
  audit?: object
  err?: { stack?: string }
}

const requests = new Map<string, { method: string, url: string }>()

/** The log in development: one line for each request, and one for anything else. Production writes JSON, with the audit trail. */
export const developmentLog = {
  stream: {
    write (line: string): void {
      const text = readable(JSON.parse(line) as Entry)
      if (text !== undefined) process.stdout.write(`${text}\n`)
    }
  }
}

function readable ({ level, reqId = '', msg = '', req, res, responseTime, audit, err }: Entry): string | undefined {
  if (audit !== undefined) return undefined
  if (req !== undefined && res === undefined && err === undefined) {
    requests.set(reqId, req)
    return undefined
  }
  const request = requests.get(reqId)
  if (request !== undefined && res !== undefined && responseTime !== undefined) {
    requests.delete(reqId)
    return `${request.method} ${request.url} ${res.statusCode} ${responseTime.toFixed(1)} ms`
  }
  return `${level >= 50 ? 'ERROR ' : level >= 40 ? 'WARN ' : ''}${err?.stack ?? msg}`
}
