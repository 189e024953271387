const told = ["run", "mark", "radius", "certified accuracy", "95% interval", "published"];
const row = (name, value, clean) => `<tr><td class="key">${clean(name)}</td><td class="value">${clean(value)}</td></tr>`;
const formatTooltip = (found, clean) =>
  `<table>${told.filter((name) => name in found).map((name) => row(name, found[name], clean)).join("")}</table>`;
for (const place of document.querySelectorAll("[data-chart]")) {
  const spec = JSON.parse(document.getElementById(place.dataset.chart).textContent);
  // The page's policy forbids evaluating texts and styles that are made later: Vega interprets its expressions (ast), and
  // what it needs of its styles is in the page's own.
  vegaEmbed(place, spec, {
    mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false,
    tooltip: {disableDefaultStyle: true, formatTooltip},
  });
}
