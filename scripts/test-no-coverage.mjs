import module from 'node:module'

// tap gives each test file a module loader for coverage, which is not measured here and costs half a second. NODE_OPTIONS in .taprc
// brings this in before it.
const { register } = module
module.register = (specifier, ...rest) =>
  String(specifier).includes('@tapjs/processinfo') ? undefined : register.call(module, specifier, ...rest)
