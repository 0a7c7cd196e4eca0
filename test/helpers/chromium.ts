import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import type { Test } from 'tap'
import { program } from './programs.ts'

type Scope = Pick<Test, 'teardown'>

/**
 * Nothing here, nor in the defaults of playwright, touches what a page may do: `--disable-web-security` would make every answer readable.
 */
const args = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync',
  '--short-reporting-delay'
]

/** How long a browser may take for each step, in milliseconds: its own 30 seconds are too short on a machine with much else to do. */
const patience = 300_000

/** A browser with an empty profile that ends with the test; see `program` for where there is none. */
export async function startChromium (t: Scope, ...more: readonly string[]): Promise<Browser> {
  const executablePath = program({ names: ['chromium', 'chromium-browser', 'google-chrome'], package: 'chromium' })
  const browser = await chromium.launch({ executablePath, args: [...args, ...more], headless: true, timeout: patience })
  t.teardown(() => browser.close())
  const newContext = browser.newContext.bind(browser)
  browser.newContext = async options => {
    const context = await newContext(options)
    context.setDefaultTimeout(patience)
    return context
  }
  return browser
}

/** The origin of a server that has only an empty page. */
export async function startOrigin (t: Scope): Promise<string> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html')
    response.end('<!doctype html><title>empty</title><link rel="icon" href="data:,">')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close().closeAllConnections() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A page in a window of its own, with everything that it complained of or asked for. */
export async function openPage (t: Scope, browser: Browser, options: BrowserContextOptions, url: string): Promise<{
  page: Page,
  complaints: string[],
  requests: string[]
}> {
  const context = await browser.newContext(options)
  t.teardown(() => context.close())
  const page = await context.newPage()
  const [complaints, requests]: [string[], string[]] = [[], []]
  page.on('console', message => { complaints.push(message.text()) })
  page.on('pageerror', error => { complaints.push(error.message) })
  page.on('request', request => { requests.push(request.url()) })
  await page.goto(url)
  return { page, complaints, requests }
}
