import type { Directives } from './options.ts'

/** Directives of each profile. Those of the API get an A+ from MDN Observatory and pass the OWASP Secure Headers validator. */
export const directives: Readonly<Record<'api' | 'html', Directives>> = {
  api: {
    'default-src': ["'none'"],
    'frame-ancestors': ["'none'"],
    'base-uri': ["'none'"],
    'form-action': ["'none'"]
  },
  html: {
    'default-src': ["'self'"],
    'base-uri': ["'none'"],
    'form-action': ["'self'"],
    'frame-ancestors': ["'none'"],
    'img-src': ["'self'", 'data:'],
    'object-src': ["'none'"],
    'script-src': ["'self'"],
    'style-src': ["'self'"]
  }
}

const nobody: readonly string[] = []

/** OWASP Secure Headers (2026-07): these features are denied, except sync-xhr for the same origin. */
export const permissions: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries([
    'accelerometer', 'autoplay', 'camera', 'cross-origin-isolated', 'display-capture', 'encrypted-media', 'fullscreen',
    'geolocation', 'gyroscope', 'keyboard-map', 'magnetometer', 'microphone', 'midi', 'payment', 'picture-in-picture',
    'publickey-credentials-get', 'screen-wake-lock', 'usb', 'web-share', 'xr-spatial-tracking', 'clipboard-read',
    'clipboard-write', 'gamepad', 'hid', 'idle-detection', 'interest-cohort', 'serial', 'unload'
  ].map(feature => [feature, nobody])),
  'sync-xhr': ['self']
}

/** Directives of CSP Level 3 and its extensions, to detect misspellings. */
export const directiveNames: readonly string[] = [
  'default-src', 'script-src', 'script-src-elem', 'script-src-attr', 'style-src', 'style-src-elem', 'style-src-attr',
  'img-src', 'font-src', 'connect-src', 'media-src', 'object-src', 'child-src', 'frame-src', 'worker-src', 'manifest-src',
  'fenced-frame-src', 'base-uri', 'form-action', 'frame-ancestors', 'sandbox', 'webrtc', 'report-to', 'report-uri',
  'require-trusted-types-for', 'trusted-types', 'upgrade-insecure-requests'
]

/** CSP keywords (CSP3 §2.3.1). Without quotes they mean a host of that name. */
export const keywords: ReadonlySet<string> = new Set([
  'none', 'self', 'strict-dynamic', 'report-sample', 'unsafe-inline', 'unsafe-eval', 'unsafe-hashes', 'wasm-unsafe-eval',
  'inline-speculation-rules', 'script', 'allow-duplicates'
])
