/** What differs from one package manager to the next. */
export interface PackageManager {
  readonly name: PackageManagerName
  readonly install: string
  /** Adds a dependency. */
  readonly add: string
  /** Runs a script of package.json; `args` stands before the script's arguments. */
  readonly run: string
  readonly args: string
  /** The same without the package manager's own lines. */
  readonly quiet: string
  readonly lockFile: string
  /** Installs what the lock file says, and nothing else. */
  readonly clean: string
  readonly cleanProduction: string
  /** Takes development dependencies away again. */
  readonly prune: string
  /** How a machine that has Node alone gets the package manager. */
  readonly setUp: string | undefined
}

export const packageManagerNames = ['npm', 'pnpm', 'yarn'] as const
export type PackageManagerName = typeof packageManagerNames[number]

export const packageManagers: Readonly<Record<PackageManagerName, PackageManager>> = {
  npm: {
    name: 'npm',
    install: 'npm install',
    add: 'npm install',
    run: 'npm run',
    args: ' --',
    quiet: 'npm run --silent',
    lockFile: 'package-lock.json',
    clean: 'npm ci',
    cleanProduction: 'npm ci --omit=dev',
    prune: 'npm prune --omit=dev',
    setUp: undefined
  },
  pnpm: {
    name: 'pnpm',
    install: 'pnpm install',
    add: 'pnpm add',
    run: 'pnpm run',
    args: '',
    quiet: 'pnpm run --silent',
    lockFile: 'pnpm-lock.yaml',
    clean: 'pnpm install --frozen-lockfile',
    cleanProduction: 'pnpm install --frozen-lockfile --prod',
    prune: 'pnpm prune --prod',
    setUp: 'npm install --global pnpm'
  },
  yarn: {
    name: 'yarn',
    install: 'yarn install',
    add: 'yarn add',
    run: 'yarn run',
    args: '',
    quiet: 'yarn run --silent',
    lockFile: 'yarn.lock',
    clean: 'yarn install --frozen-lockfile',
    cleanProduction: 'yarn install --frozen-lockfile --production',
    prune: 'yarn install --frozen-lockfile --production',
    setUp: 'npm install --global yarn@1'
  }
}

export function isPackageManager (name: string): name is PackageManagerName {
  return Object.hasOwn(packageManagers, name)
}

/** The one that started this process: each tells its scripts by a variable such as `npm/11.4.2 node/v24.1.0 linux x64`. */
export function callingPackageManager (env: Readonly<Record<string, string | undefined>>): PackageManagerName {
  const [name = ''] = (env['npm_config_user_agent'] ?? '').split('/')
  return isPackageManager(name) ? name : 'npm'
}
