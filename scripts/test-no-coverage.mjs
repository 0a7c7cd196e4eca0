import module from 'node:module'

// tap gives each test file a module loader for coverage, which is not measured here and costs half a second. NODE_OPTIONS in .taprc
// brings this in before it: tap's loader is the first to register, by the one call before Node 24.13 and by the other since.
const { register, registerHooks } = module
module.register = (specifier, ...rest) =>
  String(specifier).includes('@tapjs/processinfo') ? undefined : register.call(module, specifier, ...rest)
if (registerHooks) module.registerHooks = hooks => hooks.load?.name === 'loadSync' ? undefined : registerHooks.call(module, hooks)
