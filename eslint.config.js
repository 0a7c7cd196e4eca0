import neostandard from 'neostandard'

export default [
  ...neostandard({ ts: true, ignores: ['dist/**', '.build/**', 'node_modules/**', '.tap/**', 'coverage/**'] }),
  {
    rules: {
      '@stylistic/max-len': ['error', { code: 140, ignoreUrls: true }]
    }
  }
]
