/** Filters the rows of the page. Without it the page shows all of them, and no filters. */
export const script = `
'use strict'
const form = document.querySelector('form.filters')
const status = form.querySelector('output')
const rows = [...document.querySelectorAll('tbody tr')]
const none = document.querySelector('.none')

function fits (row, { search, method, access, found }) {
  return search.value.toLowerCase().split(/\\s+/).every(word => row.dataset.text.includes(word)) &&
    (method.value === '' || row.dataset.methods.split(' ').includes(method.value)) &&
    (access.value === '' || row.dataset.access === access.value) &&
    (!found.checked || row.dataset.found !== '')
}

function apply () {
  for (const row of rows) row.hidden = !fits(row, form.elements)
  const shown = rows.filter(row => !row.hidden).length
  status.textContent = shown === rows.length ? rows.length + ' routes' : shown + ' of ' + rows.length + ' routes'
  none.hidden = shown > 0
}

form.addEventListener('input', apply)
form.addEventListener('submit', event => event.preventDefault())
form.addEventListener('reset', () => setTimeout(apply))
document.addEventListener('click', ({ target }) => {
  const link = target.closest('a[href^="#route-"]')
  const row = link && document.getElementById(link.getAttribute('href').slice(1))
  if (row && row.hidden) { form.reset(); apply() }
})
document.addEventListener('keydown', event => {
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, select')) return
  event.preventDefault()
  form.elements.search.focus()
})
form.hidden = false
apply()
`
