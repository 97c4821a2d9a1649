// A shop's cart: the total of what is in it, in cents.
function priceOf(item) {
  return item.price.cents * item.quantity;
}

function total(items) {
  return items.reduce((sum, item) => sum + priceOf(item), 0);
}

export function showTotal(element, items) {
  element.textContent = `${(total(items) / 100).toFixed(2)} EUR`;
}

document.addEventListener("DOMContentLoaded", () => {
  showTotal(document.querySelector("#total"), [{ sku: "teapot", quantity: 1 }]);
});
