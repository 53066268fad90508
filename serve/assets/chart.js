// Stands in for Chart.js where the program was built without it (Debian package
// libjs-chart.js): the pages then show tables only.
