function l(e){const t=document.createElement("table");for(const{at:o,to:n,ferry:r}of e){const c=t.insertRow();for(const f of[o,n,r])c.insertCell().textContent=f}return t}export{l as table};
//# sourceMappingURL=table-cUE-q7j7.js.map
