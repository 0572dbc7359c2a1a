// The filter of a cohort's page: what is typed hides the entries whose names do not hold it.

const filter = document.getElementById("filter");
const count = document.querySelector(".filter output");
const entries = [...document.querySelectorAll(".grid li")].map((item) => ({
  item,
  name: item.querySelector("h2").textContent.toLowerCase(),
}));

function apply() {
  const words = filter.value.trim().toLowerCase();
  let shown = 0;
  for (const { item, name } of entries) {
    item.hidden = !name.includes(words);
    shown += item.hidden ? 0 : 1;
  }
  count.textContent = words ? `${shown} of ${entries.length}` : `${entries.length} in all`;
}

filter.addEventListener("input", apply);
filter.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  filter.value = "";
  apply();
});
document.querySelector(".filter").hidden = false;
apply(); // The browser may have kept what was typed before a reload.
