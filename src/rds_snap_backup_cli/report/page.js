// Filters the rows of both tables. A finding has no verdict, so it is shown with every one.
const filters = document.querySelector(".filters");
const [verdict, account, words] = filters.querySelectorAll("select, input");
const tables = [...document.querySelectorAll("section")].map((section) => ({
  shown: section.querySelector("output"),
  rows: [...section.querySelectorAll("tbody tr")].map((row) => ({ row, text: row.textContent.toLowerCase() })),
}));

function filter() {
  const wanted = words.value.toLowerCase().split(/\s+/);
  for (const { shown, rows } of tables) {
    for (const { row, text } of rows) {
      row.hidden =
        (verdict.value && "verdict" in row.dataset && row.dataset.verdict !== verdict.value) ||
        (account.value && row.dataset.account !== account.value) ||
        !wanted.every((word) => text.includes(word));
    }
    const left = rows.filter(({ row }) => !row.hidden).length;
    shown.value = left < rows.length ? `${left} of ${rows.length} shown` : "";
  }
}

filters.addEventListener("input", filter);
filters.querySelector("button").addEventListener("click", () => {
  verdict.value = account.value = words.value = "";
  filter();
  words.focus();
});
filters.hidden = false;
filter(); // A browser may restore the values when the page is loaded again.
