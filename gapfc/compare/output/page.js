// A click on a column's title sorts the table by it, the largest first; again, the smallest.
document.querySelectorAll("thead button").forEach(function (button) {
  button.addEventListener("click", function () {
    var th = button.closest("th"), column = th.cellIndex;
    var body = th.closest("table").tBodies[0];
    var down = th.getAttribute("aria-sort") !== "descending";
    th.parentNode.querySelectorAll("th").forEach(function (other) {
      other.removeAttribute("aria-sort");
    });
    th.setAttribute("aria-sort", down ? "descending" : "ascending");
    Array.from(body.rows).sort(function (a, b) {
      var x = a.cells[column].dataset.v, y = b.cells[column].dataset.v;
      if (x === "" || y === "") return (x === "") - (y === "");
      var order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return down ? -order : order;
    }).forEach(function (row) { body.appendChild(row); });
  });
});
// A table that goes on to the right says so at its edge.
document.querySelectorAll(".wide").forEach(function (wide) {
  function look() {
    var more = wide.scrollWidth - wide.clientWidth - wide.scrollLeft > 2;
    wide.parentNode.classList.toggle("more", more);
  }
  wide.addEventListener("scroll", look);
  window.addEventListener("resize", look);
  look();
});
// On paper nothing can be opened.
window.addEventListener("beforeprint", function () {
  document.querySelectorAll("details").forEach(function (each) { each.open = true; });
});
