import neostandard from 'neostandard'

export default [
  ...neostandard({ ts: true, ignores: ['dist/**', '.build/**', 'node_modules/**', '.tap/**', 'coverage/**'] }),
  {
    rules: {
      '@stylistic/max-len': ['error', { code: 140, ignoreUrls: true }],
      'no-restricted-syntax': ['error', {
        selector: 'VariableDeclaration[kind=/using/]',
        message: 'Node 22 does not know `using`, and strips types without translating it.'
      }]
    }
  }
]
