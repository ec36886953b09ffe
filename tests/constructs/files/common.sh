MAKE[0]="make from-common"
shared=kept
